"""dw rights"""

from __future__ import annotations

import argparse
import re
import sys

from datawarehouse.aws.capacity import REGION_NAME
from datawarehouse.aws.deployer import deployer_policies
from datawarehouse.cli.options import add_warehouse, warehouse_of
from datawarehouse.cli.output import print_json, remark
from datawarehouse.errors import BadRequest

_ACCOUNT, _NAME = re.compile(r"\d{12}"), re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_warehouse(parser)
    what = "names of components that your program adds beside the warehouse, such as generators of events"
    parser.add_argument("names", nargs="*", metavar="COMPONENT", help=what)
    parser.add_argument("--account", default="*", metavar="NUMBER", help="the AWS account (default: any)")
    parser.add_argument("--region", default="*", metavar="REGION", help="the AWS Region (default: any)")


def run(arguments: argparse.Namespace) -> None:
    account, region = arguments.account, arguments.region
    if account != "*" and not _ACCOUNT.fullmatch(account):
        raise BadRequest(f"--account is {account!r}; valid are the 12 digits of an AWS account.")
    if region != "*" and not REGION_NAME.fullmatch(region):
        raise BadRequest(f"--region is {region!r}; valid is an AWS Region, e.g. 'eu-west-1'.")
    for name in arguments.names:
        if not _NAME.fullmatch(name):
            raise BadRequest(f"COMPONENT is {name!r}; valid is the name of a component, {_NAME.pattern}.")
    policies = deployer_policies([warehouse_of(arguments).name, *arguments.names], account, region)
    for policy in policies:
        print_json(policy)
    if len(policies) > 1:
        sys.stdout.flush()
        remark(f"These are {len(policies)} policies, since IAM takes no longer ones: attach all of them.")
