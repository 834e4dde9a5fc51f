# Runs in the new root file system, as its root; standard input is the disk, opened for reading and writing.
# Writes the partition table, the file system with all files, and the boot loader.
set -eu
echo 'I: writing the disk...' >&2
disk=/proc/self/fd/9
exec 9<>/proc/self/fd/0
own=/run/kvm-e2e

# The boot loader is Debian's own, of the guest's release; `update-grub` in the guest keeps grub.cfg true.
# $1: GRUB's name of the platform; the rest: modules that are in it from the start.
make_boot_loader() {
    platform=$1
    shift
    mkdir -p "/boot/grub/$platform"
    cp "/usr/lib/grub/$platform"/*.mod "/usr/lib/grub/$platform"/*.lst "/boot/grub/$platform/"
    printf 'search.fs_uuid %s root\nset prefix=($root)/boot/grub\n' "$FILE_SYSTEM" >/var/tmp/kvm-e2e/embedded.cfg
    grub-mkimage --format "$platform" --prefix /boot/grub --config /var/tmp/kvm-e2e/embedded.cfg \
        --output "/boot/grub/$platform/core.img" \
        ext2 search_fs_uuid normal configfile linux echo test serial terminal "$@"
    cp /var/tmp/kvm-e2e/grub.cfg /boot/grub/grub.cfg
}

write_root() {
    # Mounts (/proc, /dev, our own files in /run) stay out: a bind mount shows the file system without them.
    mount --bind / /mnt
    mount -t tmpfs none /mnt/dev
    mount -t tmpfs none /mnt/run
    mount -t tmpfs none /mnt/mnt
    if ! mke2fs -q -F -t ext4 -U "$FILE_SYSTEM" -L root -E "offset=$ROOT_OFFSET" -d /mnt "$disk" "$ROOT_KIB"; then
        needs=$(du --one-file-system --summarize --block-size=1M /mnt | cut -f 1)
        [ "$needs" -lt $((ROOT_KIB / 1024 * 9 / 10)) ] ||
            echo "E: the disk is too small: its files alone need $needs MiB" >&2
        exit 1
    fi
    umount /mnt/mnt /mnt/run /mnt/dev
    umount /mnt
}

write_table() {
    sfdisk --quiet --no-reread --no-tell-kernel "$disk"
}

# The number of a FAT file system is written with a dash in /etc/fstab and without one for mformat.
write_efi_partition() {
    esp=$own/esp
    truncate --size "$ESP_BYTES" "$esp"
    mformat -i "$esp" -F -N "$ESP_SERIAL" -v EFI -T "$((ESP_BYTES / 512))" ::
    mmd -i "$esp" ::/EFI ::/EFI/BOOT
    mcopy -i "$esp" /boot/grub/x86_64-efi/core.img ::/EFI/BOOT/BOOTX64.EFI
    dd if="$esp" of="$disk" bs=1M seek="$((ESP_OFFSET / 1048576))" conv=notrunc,sparse status=none
}

case $FIRMWARE in
bios)
    make_boot_loader i386-pc biosdisk part_msdos
    cp /usr/lib/grub/i386-pc/boot.img /boot/grub/i386-pc/boot.img
    ;;
uefi)
    make_boot_loader x86_64-efi part_gpt
    mkdir -p /boot/efi
    ;;
esac
mv /var/tmp/kvm-e2e "$own"
write_root
case $FIRMWARE in
bios)
    printf 'label: dos\nstart=%s, type=83, bootable\n' "$((ROOT_OFFSET / 512))" | write_table
    dd if=/boot/grub/i386-pc/boot.img of="$disk" bs=440 count=1 conv=notrunc status=none
    dd if=/boot/grub/i386-pc/core.img of="$disk" bs=512 seek=1 conv=notrunc status=none
    ;;
uefi)
    # Types: UEFI's own partition; root of a Linux for x86-64.
    printf 'label: gpt\nstart=%s, size=%s, type=uefi\nstart=%s, type=%s\n' "$((ESP_OFFSET / 512))" \
        "$((ESP_BYTES / 512))" "$((ROOT_OFFSET / 512))" 4f68bce3-e8cd-4db1-96e7-fbcaf984b709 | write_table
    write_efi_partition
    ;;
esac
