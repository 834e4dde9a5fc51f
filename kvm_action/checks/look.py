"""The checks that testinfra's modules carry out: one door for all of them."""

from testinfra.host import Host

from kvm_action.checks.facts import Verdict
from kvm_action.checks.files import check_file
from kvm_action.checks.system import check_package, check_port, check_service, check_user
from kvm_action.plan.checks import FileCheck, PackageCheck, PortCheck, ServiceCheck, UserCheck

LookCheck = UserCheck | PackageCheck | ServiceCheck | PortCheck | FileCheck


def look(check: LookCheck, host: Host) -> Verdict:
    """Carry it out."""
    match check:
        case UserCheck():
            return check_user(check, host)
        case PackageCheck():
            return check_package(check, host)
        case ServiceCheck():
            return check_service(check, host)
        case PortCheck():
            return check_port(check, host)
        case FileCheck():
            return check_file(check, host)
