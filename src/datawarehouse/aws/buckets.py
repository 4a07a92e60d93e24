"""A bucket that is private and encrypted, accepts only TLS, and deletes old objects."""

import hashlib
import re
from typing import Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from datawarehouse.aws.arguments import checked_arguments, checked_name, checked_number
from datawarehouse.aws.policies import only_tls
from datawarehouse.aws.protection import protected
from datawarehouse.aws.refusals import in_one_line
from datawarehouse.errors import DeclarationError

INCOMPLETE_UPLOAD_DAYS = 7
EARLIER_VERSION_DAYS = 30
"""Of a bucket in which a program turns versioning on; without it there are no earlier versions."""
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,53}[a-z0-9]")
"""Amazon S3 user guide, "Bucket naming rules", less the eight characters that Pulumi adds."""
_ID_CHARACTERS_MAX = 255


class PrivateBucketArgs(TypedDict):
    """The arguments of a PrivateBucket.

    expire_days: after how many days objects are deleted, by the folder that they are in ("" is all). is_disposable:
    whether it is deleted with the stack, including its objects; otherwise it is protected, and so is what keeps it
    private. kms_key_arn: what objects are encrypted with (default: the key of S3). region: default is the provider's.
    """

    expire_days: NotRequired[pulumi.Input[dict[str, int]]]
    is_disposable: NotRequired[bool]
    kms_key_arn: NotRequired[pulumi.Input[str]]
    region: NotRequired[pulumi.Input[str]]


class PrivateBucket(pulumi.ComponentResource):
    """An S3 bucket, `bucket`, with the resources that keep it private."""

    bucket: aws.s3.Bucket

    @in_one_line
    def __init__(self, name: str, args: PrivateBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        component = checked_name("PrivateBucket", name, _NAME)
        given = checked_arguments(component, args, PrivateBucketArgs)
        _check_days(component, given.get("expire_days", {}))
        disposable, region = given.get("is_disposable", False), given.get("region")
        super().__init__("datawarehouse:index:PrivateBucket", name, {}, protected(opts, not disposable))
        child = pulumi.ResourceOptions(parent=self)
        self.bucket = aws.s3.Bucket(name, force_destroy=disposable, region=region, opts=child)
        blocked = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=self.bucket.bucket,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            region=region,
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket.bucket,
            rules=[_encryption(given.get("kms_key_arn"))],
            region=region,
            opts=child,
        )
        aws.s3.BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket.bucket,
            policy=self.bucket.arn.apply(only_tls),
            region=region,
            # S3 refuses two changes of a bucket's access at once ("OperationAborted").
            opts=pulumi.ResourceOptions(parent=self, depends_on=[blocked]),
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket.bucket,
            rules=pulumi.Output.from_input(given.get("expire_days", {})).apply(_rules),  # type: ignore[arg-type]
            region=region,
            opts=child,
        )
        self.register_outputs({"bucket": self.bucket.bucket})


def _encryption(key_arn: pulumi.Input[str] | None) -> Any:
    """With a key of one's own, S3 asks KMS once for many objects (a bucket key), and not for each."""
    if key_arn is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": key_arn},
        "bucket_key_enabled": True,
    }


def _check_days(component: str, expire_days: Any) -> None:
    if isinstance(expire_days, pulumi.Output):
        return
    if not isinstance(expire_days, dict):
        raise DeclarationError(f"{component}: expire_days is {expire_days!r}; valid is a dict of folders and days.")
    for prefix, days in expire_days.items():
        if not isinstance(prefix, str) or prefix.startswith("/"):
            raise DeclarationError(
                f"{component}: expire_days has the folder {prefix!r}; valid is what keys begin with, e.g. 'logs/'."
            )
        checked_number(component, f"expire_days[{prefix!r}]", days, 1, 36_500, "a hundred years")


def _rules(expire_days: dict[str, int]) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = [
        {
            "id": "incomplete-uploads",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "abort_incomplete_multipart_upload": {"days_after_initiation": INCOMPLETE_UPLOAD_DAYS},
        },
        {
            "id": "earlier-versions",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": EARLIER_VERSION_DAYS},
        },
    ]
    for prefix, days in sorted(expire_days.items()):
        rules.append(
            {
                "id": _rule_id(prefix),
                "status": "Enabled",
                "filter": {"prefix": prefix},
                "expiration": {"days": days},
            }
        )
    return rules


def _rule_id(prefix: str) -> str:
    """The name of a rule, unique for each folder."""
    digest = hashlib.sha256(prefix.encode()).hexdigest()[:8]
    readable = prefix.strip("/").replace("/", "-") or "all"
    return f"expire-{readable[: _ID_CHARACTERS_MAX - 16]}-{digest}"
