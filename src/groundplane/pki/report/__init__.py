"""What expires when: certificates found in files, directories, kubeconfigs, databases and at endpoints.

`model` decides what is how urgent; `find` reads files, `blocks` and `kubeconfig` know their formats, `database`
looks into one, `endpoint` asks a TLS server, `words` says what is wrong, `render` writes tables, JSON and metrics.
"""
