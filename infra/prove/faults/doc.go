// Package faults proves that faults lose nothing: it runs the whole product on one machine
// under load while DynamoDB, SES and the bus fail in every way that a proxy can bring about and
// functions and the whole stack are killed, and then audits what is there.
package faults
