// Command platform serves the platform's own software: it registers accounts,
// replaces an owner's address, reports payments and checks anyone's access.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
