"""Which resources are protected while data is not disposable: what holds data, and what feeds, names or guards it.

Pulumi looks at `protect` of a resource only when it is that resource's turn to be deleted, deletes what depends on a
resource before the resource itself, and goes on with the others after one that is protected
(pkg/resource/deploy/step.go, DeleteStep.Apply). A preview refuses the whole run; a run without one does not. So
protecting a stream or a bucket alone would let the delivery and the catalog go that make it useful.

A component is protected, and what it creates inherits that. Not protected is what every deployment may replace or
remove: alarms, log streams of Firehose (which stay when they are deleted), the call of a registrar, policies that are
attached; and what holds no data: jobs, workgroups, the results of queries, and how late events came, which is counted
again from them.
"""

import pulumi


def protected(opts: pulumi.ResourceOptions | None, is_kept: bool) -> pulumi.ResourceOptions | None:
    """The options of a component, with protection if its data is kept."""
    return pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=True)) if is_kept else opts


def replaceable(parent: pulumi.Resource, **options: bool) -> pulumi.ResourceOptions:
    """The options of a child that deployments replace or remove, although its parent may be protected."""
    return pulumi.ResourceOptions(parent=parent, protect=False, **options)  # type: ignore[arg-type]
