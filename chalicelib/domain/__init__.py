"""The rules of Paygrade: frozen values and pure functions, standard library only, time as an argument."""
