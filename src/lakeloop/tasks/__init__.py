"""What a task is: from the columns of the mart to an answer over HTTP and its scores. No torch.

One file a task, one line in `registry`; its section of the loop file is in `spec.tasks`, how it is learnt in
`training.tasks`. Import the submodules directly.
"""
