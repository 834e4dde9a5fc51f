# Only SSH, RDP and answers come in.

RULES=/etc/nftables.conf

holds() {
    installed nftables && rules | cmp -s - $RULES && is_up nftables && [ "$(nft list ruleset)" = "$(meant)" ]
}

apply() {
    get nftables
    rules | put $RULES 0755 root:root
    systemctl enable --quiet nftables
    systemctl restart nftables
}

# What the kernel makes of the rules where there are no others: in a network of their own.
meant() { unshare --net sh -c "nft -f $RULES && nft list ruleset"; }

rules() {
    cat <<-'END'
	#!/usr/sbin/nft -f
	flush ruleset

	table inet vps {
	    chain input {
	        type filter hook input priority filter; policy drop;
	        iif lo accept
	        ct state established,related accept
	        ct state invalid drop
	        meta l4proto { icmp, ipv6-icmp } accept
	        udp dport 68 accept comment "DHCP answers"
	        ip6 saddr fe80::/10 udp dport 546 accept comment "DHCPv6 answers"
	        tcp dport { 22, 3389 } accept comment "SSH, RDP"
	    }
	    chain forward {
	        type filter hook forward priority filter; policy drop;
	    }
	}
	END
}
