# What keywright does in Vault for the ApiKeys of namespace shop, and nothing else. Below the mount `secret`, with the prefix `shop/`.
#   vault policy write keywright-shop examples/vault/policy.hcl
#
# create, update: a new version, by check-and-set. read: what stands there, before each write and to see a drift.
path "secret/data/shop/*" {
  capabilities = ["create", "read", "update"]
}

# read: whether a path has moved. update: the custom metadata that says whose it is. delete: once its ApiKey is deleted.
path "secret/metadata/shop/*" {
  capabilities = ["read", "update", "delete"]
}

# update: versions that hold a revoked key are destroyed. Not needed with keepVersions.
path "secret/destroy/shop/*" {
  capabilities = ["update"]
}
