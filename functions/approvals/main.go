// Command approvals serves the decision on a connection request.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
