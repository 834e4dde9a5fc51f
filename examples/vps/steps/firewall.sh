# Only SSH, RDP and answers come in.

holds() {
    installed nftables && systemctl is-active --quiet nftables &&
        nft list chain inet vps input 2>/dev/null | grep -q 'dport { 22, 3389 } accept'
}

apply() {
    get nftables
    put /etc/nftables.conf 0755 root:root <<-'END'
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
	        tcp dport { 22, 3389 } accept comment "SSH, RDP"
	    }
	    chain forward {
	        type filter hook forward priority filter; policy drop;
	    }
	}
	END
    systemctl enable --quiet nftables
    systemctl restart nftables
}
