// The process that holds a pod's namespaces open.
module probepilot.dev/tests/cluster/tools/pause

go 1.26.0
