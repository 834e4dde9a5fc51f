"""The checks that only look, by small questions that can be foreseen: one door for all of them."""

from testinfra.host import Host

from kvm_action.checks.facts import Verdict
from kvm_action.checks.files import check_file
from kvm_action.checks.ide import check_ide
from kvm_action.checks.system import check_package, check_port, check_service, check_user
from kvm_action.plan.checks import FileCheck, IdeCheck, PackageCheck, PortCheck, ServiceCheck, UserCheck

LookCheck = UserCheck | PackageCheck | ServiceCheck | PortCheck | FileCheck | IdeCheck


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
        case IdeCheck():
            return check_ide(check, host)
