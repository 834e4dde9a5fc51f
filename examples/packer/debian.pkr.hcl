# An image made by Packer from one of kvm-e2e's: the disk is copied, provisioned by a script, sealed, compacted.
#   packer init . && packer build -var base_image=PATH -var base_sha256=HEX .     (Packer 1.7 and later)
#   packer build -var base_image=PATH -var base_sha256=HEX debian.pkr.hcl         (Debian's 1.6, which has QEMU built in)
# PATH and HEX: kvm-e2e image inspect debian-13 --json

variable "base_image" {
  type        = string
  description = "A qcow2 file with cloud-init, such as kvm-e2e's own."
}

variable "base_sha256" {
  type        = string
  description = "Its checksum."
}

variable "script" {
  type        = string
  description = "What makes the image yours; run as root."
  default     = "provision.sh"
}

variable "accelerator" {
  type    = string
  default = "kvm"
}

variable "cpu" {
  type        = string
  description = "QEMU's CPU model; for emulation: max,-cx16"
  default     = "host"
}

variable "output" {
  type    = string
  default = "output"
}

source "qemu" "debian" {
  disk_image       = true
  iso_url          = var.base_image
  iso_checksum     = "sha256:${var.base_sha256}"
  format           = "qcow2"
  disk_size        = "8G" # at least that of the base image, which grows into it
  disk_cache       = "unsafe"
  disk_discard     = "unmap"
  output_directory = var.output
  vm_name          = "image.qcow2"

  accelerator  = var.accelerator
  machine_type = "q35"
  memory       = 1024
  cpus         = 2
  headless     = true

  # No CD-ROM: Debian's cloud kernel has no driver for it. cloud-init is told by the firmware where to ask.
  http_directory = "http"
  qemuargs = [
    ["-cpu", var.cpu],
    ["-netdev", "user,id=user.0,hostfwd=tcp:127.0.0.1:{{ .SSHHostPort }}-:22"], # Packer alone listens everywhere
    ["-smbios", "type=1,serial=ds=nocloud-net;s=http://{{ .HTTPIP }}:{{ .HTTPPort }}/"],
  ]

  communicator     = "ssh"
  ssh_username     = "packer"
  ssh_password     = "packer"
  ssh_timeout      = "15m"
  shutdown_command = "sudo /usr/local/sbin/seal-and-power-off"
}

build {
  sources = ["source.qemu.debian"]

  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    inline          = ["cloud-init status --wait || [ $? -eq 2 ]"]
  }

  provisioner "shell" {
    execute_command = "sudo env {{ .Vars }} sh {{ .Path }}"
    script          = var.script
  }
}
