"""The demo: a control plane, the sandbox issuer and the operator on this machine, and the lives of a few keys to watch.

`folder` and `plane` boot and end processes, `cluster` writes into the control plane, `follower` looks at what has become
of it and calls the issuer with the keys, `life` and `board` make sense of that (pure), `view` shows it, `story` says what
happens when. Nothing of the user's is touched: no kubeconfig, no running cluster, and no trace is left.
"""
