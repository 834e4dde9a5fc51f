# Runs as root in a machine that has just woken from a template. Perl, because Debian and Ubuntu cannot be without it.
# After __END__ stand lines "name value", values in hexadecimal: what arrives on standard input is in no log and no
# process list. Prints lines "name value" of what the machine is now.
use strict; use warnings;
sub slurp { open my $file, '<', $_[0] or return ''; local $/; <$file> // '' }
my %to = map { my ($name, $hex) = split; ($name, pack 'H*', $hex // '') } <DATA>;

# 1. Randomness first, since every clone wakes with the same: linux/random.h, RNDADDENTROPY and RNDRESEEDCRNG.
open my $random, '+<', '/dev/urandom' or die "urandom: $!";
ioctl $random, 0x40085203, pack('ll a*', 8 * length $to{entropy}, length $to{entropy}, $to{entropy}) or die "RNDADDENTROPY: $!";
ioctl $random, 0x5207, 0 or die "RNDRESEEDCRNG: $!";

# 2. The clock: clock_settime(CLOCK_REALTIME), system call 227 of x86-64. The host's time is from when it asked for
# this program, so what has passed since the program's start (proc(5), field 22) is added.
my $started = (split ' ', (split /\) /, slurp('/proc/self/stat'))[-1])[19] / 100;
my $now = $to{time} + (split ' ', slurp('/proc/uptime'))[0] - $started;
my $time = pack 'q q', int $now, int(($now - int $now) * 1e9);
syscall(227, 0, $time) == 0 or die "clock_settime: $!";

sub spew { my ($path, $mode, $text) = @_;
    open my $file, '>', "$path.new" or die "$path: $!";
    print $file $text; close $file or die "$path: $!";
    chmod $mode, "$path.new"; rename "$path.new", $path or die "$path: $!" }

# 3. Names and ids.
my $old_id = slurp '/etc/machine-id'; chomp $old_id;
spew '/etc/machine-id', 0444, "$to{machine_id}\n";
spew '/var/lib/dbus/machine-id', 0444, "$to{machine_id}\n" if -f '/var/lib/dbus/machine-id' && !-l '/var/lib/dbus/machine-id';
for my $journal ('/var/log/journal', '/run/log/journal') {
    rename "$journal/$old_id", "$journal/$to{machine_id}" if length $old_id && -d "$journal/$old_id";
}
my $old_name = slurp '/etc/hostname'; chomp $old_name;
spew '/etc/hostname', 0644, "$to{hostname}\n";
my $name = $to{hostname};
syscall(170, $name, length $name) == 0 or die "sethostname: $!";
my $hosts = slurp '/etc/hosts';
$hosts =~ s/(?<![\w.-])\Q$old_name\E(?![\w-])/$to{hostname}/g if length $old_name;
$hosts .= "127.0.1.1\t$to{hostname}\n" unless $hosts =~ /\Q$to{hostname}\E/;
spew '/etc/hosts', 0644, $hosts;

# 4. Keys: the machine's own, and the one that opens it.
unlink glob '/etc/ssh/ssh_host_*';
spew '/etc/ssh/ssh_host_ed25519_key', 0600, $to{host_key};
spew '/etc/ssh/ssh_host_ed25519_key.pub', 0644, "$to{host_key_public}\n";
my (undef, undef, $uid, $gid, undef, undef, undef, $home) = getpwnam $to{user} or die "no user $to{user}";
spew "$home/.ssh/authorized_keys", 0600, "$to{authorized_key}\n";
chown $uid, $gid, "$home/.ssh/authorized_keys";
# Up to 9.7, OpenSSH reads its key for each connection. Since 9.8 its listener keeps it, and reads it anew on SIGHUP; it
# listens again when it has written its pid.
my ($ssh_pid) = slurp('/run/sshd.pid') =~ /^(\d+)/;
if ($ssh_pid && slurp("/proc/$ssh_pid/comm") eq "sshd\n" && grep { -x } glob '/usr/lib*/openssh/sshd-session') {
    unlink '/run/sshd.pid'; kill 'HUP', $ssh_pid;
    for (1 .. 1000) { last if -s '/run/sshd.pid'; select undef, undef, undef, 0.01 }
}
if (length $to{password}) {
    open my $change, '|-', 'chpasswd' or die "chpasswd: $!";
    print $change "$to{user}:$to{password}\n"; close $change or die "chpasswd failed";
}

# 5. What was held back goes on; nobody waits for it.
my @held = split ' ', slurp '/run/kvm-e2e/held-back';
if (@held && !fork) {
    open STDOUT, '>', '/dev/null'; open STDERR, '>', '/dev/null';
    exec 'systemctl', '--no-block', 'start', @held or exit 1;
}

# 6. What the machine is now, read back from it.
my $host_key = slurp '/etc/ssh/ssh_host_ed25519_key.pub'; chomp $host_key;
my $id = slurp '/etc/machine-id'; my $uuid = slurp '/proc/sys/kernel/random/uuid'; my $host = slurp '/proc/sys/kernel/hostname';
chomp($id, $uuid, $host);
print "nonce ", slurp('/run/kvm-e2e/nonce'), "\nmachine_id $id\nhostname $host\nuuid $uuid\nhost_key $host_key\n";
