// Command external-secrets reads from Vault with the code of External Secrets' own provider. It takes a JSON object from
// its standard input, with the address, a token, and the number of a version in each store, and prints what it has seen
// of each store. Where the operator would ask Kubernetes for the token's Secret, it answers itself.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	esv1 "github.com/external-secrets/external-secrets/apis/externalsecrets/v1"
	esmeta "github.com/external-secrets/external-secrets/apis/meta/v1"
	"github.com/external-secrets/external-secrets/pkg/provider/vault"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const namespace = "team"

type input struct {
	Address string         `json:"address"`
	Token   string         `json:"token"`
	First   map[string]int `json:"first"`
}

// cluster has one Secret, with the token.
type cluster struct {
	client.Client
	token string
}

func (c cluster) Get(_ context.Context, key client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	secret, isSecret := object.(*corev1.Secret)
	if !isSecret || key.Namespace != namespace || key.Name != "vault-token" {
		return fmt.Errorf("asked for %T %s", object, key)
	}
	secret.Data = map[string][]byte{"token": []byte(c.token)}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var in input
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	seen := map[string]map[string]any{}
	for store, first := range in.First {
		found, err := readStore(in, store, first)
		if err != nil {
			return fmt.Errorf("%s: %w", store, err)
		}
		seen[store] = found
	}
	return json.NewEncoder(os.Stdout).Encode(seen)
}

// open signs in as the operator does for a SecretStore.
func open(in input, path string, version esv1.VaultKVStoreVersion) (esv1.SecretsClient, error) {
	token := &esmeta.SecretKeySelector{Name: "vault-token", Key: "token"}
	store := &esv1.SecretStore{Spec: esv1.SecretStoreSpec{Provider: &esv1.SecretStoreProvider{
		Vault: &esv1.VaultProvider{
			Server:  in.Address,
			Path:    &path,
			Version: version,
			Auth:    &esv1.VaultAuth{TokenSecretRef: token},
		},
	}}}
	store.Kind, store.Name, store.Namespace = esv1.SecretStoreKind, "store", namespace
	provider := &vault.Provider{NewVaultClient: vault.NewVaultClient}
	if _, err := provider.ValidateStore(store); err != nil {
		return nil, err
	}
	opened, err := provider.NewClient(context.Background(), store, cluster{token: in.Token}, namespace)
	if err != nil {
		return nil, err
	}
	if result, err := opened.Validate(); err != nil || result != esv1.ValidationResultReady {
		return nil, fmt.Errorf("validation: %v: %w", result, err)
	}
	return opened, nil
}

// reader keeps the first error.
type reader struct {
	client esv1.SecretsClient
	err    error
}

func (r *reader) get(ref esv1.ExternalSecretDataRemoteRef) []byte {
	value, err := r.client.GetSecret(context.Background(), ref)
	if err != nil {
		r.err = errors.Join(r.err, fmt.Errorf("%+v: %w", ref, err))
	}
	return value
}

func (r *reader) secret(name, version string) json.RawMessage {
	return json.RawMessage(r.get(esv1.ExternalSecretDataRemoteRef{Key: name, Version: version}))
}

// fields are the keys of a Kubernetes Secret that the operator would make.
func (r *reader) fields(name string) map[string]string {
	found, err := r.client.GetSecretMap(context.Background(), esv1.ExternalSecretDataRemoteRef{Key: name})
	r.err = errors.Join(r.err, err)
	fields := map[string]string{}
	for key, value := range found {
		fields[key] = string(value)
	}
	return fields
}

func (r *reader) names(find esv1.ExternalSecretFind) []string {
	found, err := r.client.GetAllSecrets(context.Background(), find)
	r.err = errors.Join(r.err, err)
	names := []string{}
	for name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (r *reader) missing(name string) string {
	_, err := r.client.GetSecret(context.Background(), esv1.ExternalSecretDataRemoteRef{Key: name})
	if errors.Is(err, esv1.NoSecretError{}) {
		return "missing"
	}
	return fmt.Sprint(err)
}

// pushed is a Secret of the cluster with one key, on its way to this name.
type pushed string

func (pushed) GetMetadata() *apiextensionsv1.JSON { return nil }
func (pushed) GetSecretKey() string               { return "" }
func (name pushed) GetRemoteKey() string          { return string(name) }
func (pushed) GetProperty() string                { return "" }

// push is what a PushSecret does, and what is in Vault then.
func push(opened esv1.SecretsClient, name, value string) string {
	ctx := context.Background()
	secret := &corev1.Secret{Data: map[string][]byte{"k": []byte(value)}}
	if err := opened.PushSecret(ctx, secret, pushed(name)); err != nil {
		return err.Error()
	}
	found, err := opened.GetSecret(ctx, esv1.ExternalSecretDataRemoteRef{Key: name, Property: "k"})
	if err != nil {
		return err.Error()
	}
	return string(found)
}

func readStore(in input, store string, first int) (map[string]any, error) {
	version2, err := open(in, store, esv1.VaultKVStoreV2)
	if err != nil {
		return nil, err
	}
	version1, err := open(in, "kv1/"+store, esv1.VaultKVStoreV1)
	if err != nil {
		return nil, err
	}
	folder := "payments"
	two, one := reader{client: version2}, reader{client: version1}
	password := esv1.ExternalSecretDataRemoteRef{Key: "payments/db", Property: "password"}
	seen := map[string]any{
		"db":       two.secret("payments/db", ""),
		"v1":       one.secret("payments/db", ""),
		"text":     two.fields("text"),
		"bytes":    two.fields("bytes"),
		"first":    two.secret("turned", strconv.Itoa(first)),
		"last":     two.secret("turned", ""),
		"missing":  two.missing("payments/none"),
		"password": string(two.get(password)),
		"byName":   two.names(esv1.ExternalSecretFind{Path: &folder, Name: &esv1.FindName{RegExp: "."}}),
		"byTag":    two.names(esv1.ExternalSecretFind{Tags: map[string]string{"team": "payments"}}),
		"pushed":   []string{push(version1, "new/pushed", "one"), push(version1, "new/pushed", "two")},
		"refused":  []string{push(version1, "payments/db", "x"), push(version2, "new/other", "x")},
	}
	ctx := context.Background()
	return seen, errors.Join(one.err, two.err, version1.Close(ctx), version2.Close(ctx))
}
