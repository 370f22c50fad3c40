"""A flow runner for several processes: submit.py, worker.py and projector.py are programs."""
