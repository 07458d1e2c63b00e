provider "vault" { address = "http://127.0.0.1:8200" }

data "vault_generic_secret" "db" {
  path = "secret/db"
}

resource "terraform_data" "database" {
  input = data.vault_generic_secret.db.data["password"]
}
