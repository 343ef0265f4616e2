// Command accounts serves accounts themselves: opening, creating, listing, reading,
// renaming, and their activity.
package main

import (
	"agencyhub/shared/cloud"
	"agencyhub/shared/rest"
)

func main() {
	cloud.Log()
	rest.Serve(api, cloud.Service)
}
