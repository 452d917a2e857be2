"""The service: wires the three libraries into processes, sockets and files."""
