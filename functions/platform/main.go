// Command platform serves the platform's own software: it registers accounts,
// replaces an owner's address, reports payments, checks anyone's access and says how the
// hub is doing.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
