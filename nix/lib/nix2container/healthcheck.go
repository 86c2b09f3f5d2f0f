package types

import (
	"encoding/json"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// ImageConfig is OCI's configuration with Docker's health check, for which OCI keeps the name free.
type ImageConfig struct {
	v1.ImageConfig
	Healthcheck json.RawMessage `json:"Healthcheck,omitempty"`
}

// ImageWithHealthcheck is OCI's image with that configuration.
type ImageWithHealthcheck struct {
	v1.Image
	Config ImageConfig `json:"config,omitempty"`
}
