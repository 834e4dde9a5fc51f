# Waits until a network card has an IPv4 address. After __END__ stands the number of seconds to wait at most.
use strict; use warnings;
my $end = time + <DATA>;
while (time < $end) {
    # /proc/net/fib_trie names the addresses of this host "/32 host LOCAL"; those of the loopback do not count.
    open my $file, '<', '/proc/net/fib_trie' or die "fib_trie: $!";
    my $before = '';
    while (my $line = <$file>) {
        exit 0 if $line =~ m{/32 host LOCAL} && $before =~ /(\d+\.\d+\.\d+\.\d+)/ && $1 !~ /^127\./;
        $before = $line;
    }
    close $file;
    select undef, undef, undef, 0.02;
}
exit 1;
