object f0e75b90a0283c9fd5f3da5c860d5d2e98f3df1a
type commit
tag inner
tagger Alice <alice@example.com> 1741064400 +0000

inner
