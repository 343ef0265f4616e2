// Command team serves an account's Team Members: list, invite, resend, withdraw, change,
// remove.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
