object 18cb3aa346598735bbb872314f217e3f6a860778
type tag
tag v1
tagger Alice <alice@example.com> 1741064400 +0000

v1
