"""Images for the CRI: `verbs` is list, status, pull and remove; `store` fits the oci package to the runtime's ports."""
