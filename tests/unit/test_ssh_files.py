"""Keys, and the files that OpenSSH's programs get."""

import stat
from pathlib import Path

from kvm_action.guest_shell import wrap
from kvm_action.reach import Address
from kvm_action.ssh import generate_key
from kvm_action.ssh.access import write_access


def test_a_key_pair_is_in_the_formats_that_openssh_and_cloud_init_read() -> None:
    key = generate_key()
    assert key.private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    assert key.private.endswith("-----END OPENSSH PRIVATE KEY-----\n")
    assert key.public.startswith("ssh-ed25519 AAAA")
    assert generate_key() != key


def test_a_private_key_does_not_show_in_a_log_of_the_value() -> None:
    assert "PRIVATE" not in repr(generate_key())


def test_the_key_file_is_private_and_a_second_writing_replaces_all(tmp_path: Path) -> None:
    for port in (1, 2):
        access = write_access(tmp_path / "new", Address("127.0.0.1", port), "me", "KEY\n", "ssh-ed25519 AAAA")
    key = tmp_path / "new/id_ed25519"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert key.read_text() == "KEY\n"
    assert "Port 2" in access.config.read_text()
    assert (tmp_path / "new/known_hosts").read_text() == "guest ssh-ed25519 AAAA\n"


def test_a_folder_with_spaces_and_percent_signs_does_not_break_the_config(tmp_path: Path) -> None:
    access = write_access(tmp_path / "a b%h", Address("127.0.0.1", 1), "me", "KEY\n", "ssh-ed25519 AAAA")
    assert f'IdentityFile "{tmp_path}/a b%%h/id_ed25519"' in access.config.read_text()


def test_a_command_with_any_letters_reaches_the_guests_shell_as_it_is() -> None:
    import shlex

    command = "echo 'a b' \"$HOME\" `id`\n# done; \\"
    assert shlex.split(wrap(command, sudo=True))[-6:] == ["sudo", "-n", "--", "sh", "-c", command]
