"""What expires when: certificates found in files, directories, kubeconfigs, databases and at endpoints.

`model` decides what is how urgent; `find` reads files, `kubeconfig` knows that format, `endpoint` asks a TLS server,
`render` writes tables, JSON and metrics.
"""
