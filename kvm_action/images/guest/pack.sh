# Runs in the new root file system, as its root; standard input is the disk, opened for reading and writing.
# Writes the partition table, the file system with all files, and the boot loader.
set -eu
echo 'I: writing the disk...' >&2
disk=/proc/self/fd/9
exec 9<>/proc/self/fd/0

# The boot loader is Debian's own, of the guest's release; `update-grub` in the guest keeps grub.cfg true.
boot=/boot/grub
mkdir -p "$boot/i386-pc"
cp /usr/lib/grub/i386-pc/*.mod /usr/lib/grub/i386-pc/*.lst "$boot/i386-pc/"
printf 'search.fs_uuid %s root\nset prefix=($root)%s\n' "$FILE_SYSTEM" "$boot" >/var/tmp/kvm-e2e/embedded.cfg
grub-mkimage --format i386-pc --prefix "$boot" --config /var/tmp/kvm-e2e/embedded.cfg --output "$boot/i386-pc/core.img" \
    biosdisk part_msdos ext2 search_fs_uuid normal configfile linux echo test serial terminal
cp /var/tmp/kvm-e2e/grub.cfg "$boot/grub.cfg"
cp /usr/lib/grub/i386-pc/boot.img "$boot/i386-pc/boot.img"
mv /var/tmp/kvm-e2e /run/kvm-e2e

# Mounts (/proc, /dev, our own files in /run) stay out: a bind mount shows the file system without them.
mount --bind / /mnt
mount -t tmpfs none /mnt/dev
mount -t tmpfs none /mnt/run
mount -t tmpfs none /mnt/mnt
mke2fs -q -F -t ext4 -U "$FILE_SYSTEM" -L root -E "offset=$PARTITION_OFFSET" -d /mnt "$disk" "$PARTITION_KIB"
umount /mnt/mnt /mnt/run /mnt/dev
umount /mnt

printf 'label: dos\nstart=%s, type=83, bootable\n' "$((PARTITION_OFFSET / 512))" |
    sfdisk --quiet --no-reread --no-tell-kernel "$disk"
dd if="$boot/i386-pc/boot.img" of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$boot/i386-pc/core.img" of="$disk" bs=512 seek=1 conv=notrunc status=none
