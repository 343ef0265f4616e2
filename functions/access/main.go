// Command access serves the access check, the hot path.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
