object 2afe89b05b606f438308c4eb87fee2506790d593
type commit
tag v1
tagger Alice <alice@example.com> 1741064400 +0000

v1
