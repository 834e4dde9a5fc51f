# A machine that stays, on one of kvm-e2e's images, by Terraform's libvirt provider.
#   terraform init
#   terraform apply -var base_image="$(kvm-e2e image inspect debian-13 --json | jq -r .path)" -var ssh_key="$(cat KEY.pub)"

terraform {
  required_providers {
    libvirt = {
      source  = "dmacvicar/libvirt"
      version = ">= 0.7.6, < 0.9.0"
    }
  }
}

variable "base_image" {
  type        = string
  description = "A qcow2 file with cloud-init: kvm-e2e's own, or one that Packer made."
}

variable "ssh_key" {
  type        = string
  description = "The public key that may log in as debian."
}

variable "uri" {
  type    = string
  default = "qemu:///system"
}

variable "disk_gib" {
  type    = number
  default = 25
}

provider "libvirt" {
  uri = var.uri
}

# The image is copied into libvirt's pool; the machine writes to an overlay on that copy.
resource "libvirt_volume" "base" {
  name   = "vps-base.qcow2"
  pool   = "default"
  source = var.base_image
  format = "qcow2"
}

resource "libvirt_volume" "disk" {
  name           = "vps.qcow2"
  pool           = "default"
  base_volume_id = libvirt_volume.base.id
  format         = "qcow2"
  size           = var.disk_gib * 1024 * 1024 * 1024
}

resource "libvirt_cloudinit_disk" "seed" {
  name      = "vps-seed.iso"
  pool      = "default"
  meta_data = jsonencode({ "instance-id" = "vps-1", "local-hostname" = "vps" })
  user_data = join("\n", ["#cloud-config", jsonencode({
    users = [{
      name                = "debian"
      shell               = "/bin/bash"
      sudo                = "ALL=(ALL) NOPASSWD:ALL"
      ssh_authorized_keys = [var.ssh_key]
    }]
  })])
}

resource "libvirt_domain" "vps" {
  name       = "vps"
  memory     = 4096
  vcpu       = 2
  machine    = "q35"
  qemu_agent = true

  cpu {
    mode = "host-passthrough"
  }

  disk {
    volume_id = libvirt_volume.disk.id
  }

  # A virtio disk instead of `cloudinit =`, which would be a CD-ROM: Debian's cloud kernel has no driver for it.
  disk {
    volume_id = split(";", libvirt_cloudinit_disk.seed.id)[0]
  }

  network_interface {
    network_name   = "default"
    wait_for_lease = true
  }

  console {
    type        = "pty"
    target_port = "0"
    target_type = "serial"
  }
}

output "address" {
  value = libvirt_domain.vps.network_interface[0].addresses
}
