"""Bring-up of many hosts from one file.

`document` parses the cluster file into `model`; `wanted` says what each host should hold and run, `certificates` which
certificates must be issued, `plan` what differs; `up` carries it out over `provider`'s doors (`lab` here), `status`
looks, `prove` sends packets, `doctor` says what a machine lacks. `pods` keeps the file's pods running.
"""
