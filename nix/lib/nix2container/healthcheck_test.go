package nix

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/nlewo/nix2container/types"
)

func configBlob(t *testing.T, description string) string {
	var image types.Image
	if err := json.Unmarshal([]byte(description), &image); err != nil {
		t.Fatal(err)
	}
	// As it goes through the description that one call writes and the next one reads.
	written, err := json.MarshalIndent(image, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	var read types.Image
	if err := json.Unmarshal(written, &read); err != nil {
		t.Fatal(err)
	}
	blob, err := GetConfigBlob(read)
	if err != nil {
		t.Fatal(err)
	}
	return string(blob)
}

func TestConfigBlobKeepsTheHealthcheck(t *testing.T) {
	blob := configBlob(t, `{"image-config": {"User": "1000", "Healthcheck": {"Test": ["CMD", "/bin/api"], "Retries": 3}}}`)
	for _, part := range []string{`"User":"1000"`, `"Healthcheck":{"Test":["CMD","/bin/api"],"Retries":3}`} {
		if !strings.Contains(blob, part) {
			t.Errorf("%s is not in %s", part, blob)
		}
	}
}

func TestConfigBlobWithoutHealthcheckSaysNothingOfIt(t *testing.T) {
	blob := configBlob(t, `{"image-config": {"User": "1000"}}`)
	if strings.Contains(blob, "Healthcheck") {
		t.Errorf("a health check is in %s", blob)
	}
}
