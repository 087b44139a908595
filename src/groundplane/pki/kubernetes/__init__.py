"""The certificates of a whole Kubernetes cluster with external etcd, in kubeadm's names and places.

`model` is the words, `config` the file, `profiles` what each kind of certificate is for, `plan` the complete list,
`kubeconfig` renders and reads those files, `apply` makes what is missing or due and keeps the rest.
"""
