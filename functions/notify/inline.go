package main

import (
	"strings"

	"agencyhub/shared/settings"
)

// inlineStyles puts the style of each element into a rendered email, since mail
// programs drop style sheets or parts of them. The templates are written in plain
// elements. It touches nothing that an email is filled with: html/template has
// escaped every "<" there. The classes are what the style sheet in layout.tmpl
// changes in the dark. The accent is the deployment's, as on the pages.
func inlineStyles(accent settings.Accent) *strings.Replacer {
	return strings.NewReplacer(
		"<h1>", `<h1 class="ink" style="margin:0 0 20px;font-size:22px;line-height:30px;font-weight:700;color:#1f2933">`,
		"<p>", `<p class="ink" style="margin:0 0 16px;color:#1f2933">`,
		"<h2>", `<h2 class="ink" style="margin:28px 0 10px;font-size:16px;line-height:24px;font-weight:600;color:#1f2933">`,
		"<ul>", `<ul class="ink" style="margin:0 0 16px;padding:0 0 0 22px;color:#1f2933">`,
		"<li>", `<li style="margin:0 0 8px">`,
		"<name>", `<bdi style="font-weight:600">`,
		"</name>", `</bdi>`,
		"<blockquote>", `<blockquote class="quote" style="margin:0 0 16px;padding:4px 0 4px 16px;border-left:3px solid #b9c4d6;color:#3e4c59">`,
		"<grants>", `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px;border-collapse:collapse">`,
		"</grants>", `</table>`,
		"<area>", `<tr><td class="ink line" width="40%" valign="top" style="width:40%;padding:8px 12px 8px 0;border-bottom:1px solid #e4e9f0;color:#1f2933;font-weight:600">`,
		"</area>", `</td>`,
		"<level>", `<td class="ink line" valign="top" align="right" style="padding:8px 0 8px 12px;border-bottom:1px solid #e4e9f0;color:#1f2933">`,
		"</level>", `</td></tr>`,
		"<note>", `<span class="soft" style="display:block;color:#616e7c;font-size:14px">`,
		"</note>", `</span>`,
		"<rest>", `<tr><td colspan="2" class="soft" style="padding:8px 0;color:#616e7c;font-size:14px">`,
		"</rest>", `</td></tr>`,
		"<until>", `<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:0 0 16px"><tr><td class="until ink" style="padding:12px 16px;border-radius:8px;background-color:#eef3fb;color:#1f2933">`,
		"</until>", `</td></tr></table>`,
		"<a href", `<a class="accent" style="color:`+string(accent)+`" href`,
		"<button", `<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:24px 0"><tr><td class="button" align="center" style="border-radius:8px;background-color:`+string(accent)+`"><a style="display:inline-block;padding:12px 24px;border-radius:8px;color:#ffffff;font-weight:600;text-decoration:none"`,
		"</button>", `</a></td></tr></table>`,
		"<footer>", `<tr><td class="soft" style="padding:16px 4px 0;color:#616e7c;font-size:13px;line-height:19px;overflow-wrap:anywhere;word-break:break-word">`,
		"</footer>", `</td></tr>`,
	)
}
