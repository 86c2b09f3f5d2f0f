compiler=cc
