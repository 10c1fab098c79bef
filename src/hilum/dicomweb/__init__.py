"""Archives asked over HTTP: for films by QIDO-RS and WADO-RS, and with what they are asked."""
