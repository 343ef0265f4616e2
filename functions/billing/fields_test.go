package main

import (
	"testing"

	"agencyhub/shared/testbed/apitest"
)

// Refusals name the fields of the documented body.
func TestFields(t *testing.T) { apitest.CheckFields(t, apitest.New(t, api), 80) }
