"""Takes everything of ours off the cluster's Nodes, for an administrator who uninstalls."""
