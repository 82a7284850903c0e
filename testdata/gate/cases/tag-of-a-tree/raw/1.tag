object cdcf831f59f0f436deb93695eecf13006fa8e8cc
type tree
tag v1
tagger Alice <alice@example.com> 1741064400 +0000

v1
