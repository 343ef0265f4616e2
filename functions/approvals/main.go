// Command approvals serves those who answer connection requests, invitations and offers
// of ownership: what waits, accept, decline, block and unblock.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
