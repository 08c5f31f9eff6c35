package reports

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

var screenshots = flag.String("screenshots", "", "folder to write what the browser shows to")

// browser starts a headless Chromium, and skips the test where there is none.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("no browser: install Chromium to have the page looked at (ci/setup.sh test does so on Debian)")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // it refuses to run as root otherwise, and shows nothing but our own page
		chromedp.Flag("disable-background-networking", true),
		chromedp.WSURLReadTimeout(5*time.Minute), // a machine may be busy
	)
	allocated, release := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(release)
	ctx, stop := chromedp.NewContext(allocated)
	t.Cleanup(stop)
	return ctx
}

// badNight writes the page of a run on which XDP got slower, with its past and a
// profile, and returns the page's path.
func badNight(t *testing.T) string {
	t.Helper()
	r := newReport(fullRun(14, 1.2))
	for night := 3; night < 14; night++ {
		r.Past = append(r.Past, fullRun(night, 1))
	}
	r.Diff = NewDiff(r.Past[len(r.Past)-1], r.Results, fullRun(15, 1.2))
	profile, err := os.ReadFile("testdata/profile.perf")
	require.NoError(t, err)
	r.profile = parseProfile(profile)

	var page bytes.Buffer
	require.NoError(t, r.WriteHTML(&page))
	path := filepath.Join(t.TempDir(), "index.html")
	require.NoError(t, os.WriteFile(path, page.Bytes(), 0o644))
	return path
}

// lookScript is run in the page, and tells what a reader would trip over.
const lookScript = `(() => {
	const wrong = [];
	for (const d of document.querySelectorAll("details")) d.open = true;
	const width = document.documentElement.clientWidth;
	if (document.documentElement.scrollWidth > width) wrong.push("the page is " + document.documentElement.scrollWidth + " wide");
	for (const e of document.querySelectorAll("body *")) {
		const box = e.getBoundingClientRect();
		if (box.width && box.right > width + 0.5 && !e.closest("pre, svg")) wrong.push("<" + e.tagName.toLowerCase() + "> ends at " + box.right + ": " + e.textContent.trim().slice(0, 60));
	}
	const verdict = document.querySelector("h1").innerText.trim();
	if (verdict.length < 20) wrong.push("no verdict");
	if (!document.body.innerText.trim().startsWith(verdict)) wrong.push("the verdict is not the first text");
	const figures = document.querySelectorAll("figure");
	if (figures.length < 10) wrong.push("only " + figures.length + " figures");
	for (const f of figures) {
		const name = (f.querySelector("figcaption") || {innerText: ""}).innerText.slice(0, 60);
		if (name.trim().length < 10) wrong.push("a figure without a caption");
		const plot = f.querySelector("svg[role=img]");
		if (!plot) { wrong.push("no plot: " + name); continue; }
		if ((plot.getAttribute("aria-label") || "").length < 20) wrong.push("no words for those who cannot see the plot: " + name);
		const box = plot.getBoundingClientRect();
		if (box.width < 250 || box.height < 50) wrong.push("a plot of " + box.width + " by " + box.height + ": " + name);
		const texts = [...plot.querySelectorAll("text")].map(t => [t.textContent, t.getBoundingClientRect()]);
		for (const [text, b] of texts)
			if (b.left < box.left - 1 || b.right > box.right + 1 || b.top < box.top - 2 || b.bottom > box.bottom + 2) wrong.push("letters outside the plot: " + text + ": " + name);
		if (!f.matches(".wide")) for (let i = 0; i < texts.length; i++) for (let j = 0; j < i; j++) {
			const [a, b] = [texts[i][1], texts[j][1]], x = Math.min(a.right, b.right) - Math.max(a.left, b.left), y = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
			if (x > 1 && y > a.height * 0.4) wrong.push("letters over letters: " + texts[i][0] + " / " + texts[j][0] + ": " + name);
		}
	}
	for (const i of document.images) if (!i.complete || !i.naturalWidth || !i.alt) wrong.push("an image that is not there or has no alt");
	return wrong.slice(0, 12);
})()`

// The page is opened from its file, on a phone and on a desk, and looked at.
func TestPageInABrowser(t *testing.T) {
	path := badNight(t)
	ctx := browser(t)

	var mutex sync.Mutex
	var complaints, requests []string
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		mutex.Lock()
		defer mutex.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			complaints = append(complaints, "console: "+string(e.Type))
		case *log.EventEntryAdded:
			complaints = append(complaints, e.Entry.Text)
		case *network.EventRequestWillBeSent:
			requests = append(requests, e.Request.URL)
		}
	}))
	require.NoError(t, chromedp.Do(ctx, command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{})))
	for _, device := range []struct {
		name          string
		width, height int64
		dark          bool
	}{{"phone", 390, 844, false}, {"desk", 1280, 900, false}, {"dark", 1280, 900, true}} {
		scheme := "light"
		if device.dark {
			scheme = "dark"
		}
		require.NoError(t, chromedp.Do(ctx,
			chromedp.EmulateViewport(device.width, device.height),
			command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}),
			chromedp.Navigate("file://"+path),
		))
		wrong, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](lookScript))
		require.NoError(t, err)
		if *screenshots != "" {
			picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(90))
			require.NoError(t, err)
			show(t, device.name+".jpg", picture)
		}
		require.Empty(t, wrong, device.name)
	}
	pdf, err := chromedp.Run(ctx, chromedp.PrintToPDF())
	require.NoError(t, err)
	show(t, "print.pdf", pdf)
	require.Greater(t, len(pdf), 10_000)

	mutex.Lock()
	defer mutex.Unlock()
	require.Empty(t, complaints)
	require.NotEmpty(t, requests)
	for _, request := range requests {
		require.True(t, request == "file://"+path || strings.HasPrefix(request, "data:"), "the page asks for %s", request)
	}
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Less(t, info.Size(), int64(3<<20), "the page is too heavy to be sent about")
}

// command makes an action of a command of the browser's.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, params)
		return err
	})
}

func show(t *testing.T, name string, content []byte) {
	t.Helper()
	if *screenshots != "" {
		require.NoError(t, os.MkdirAll(*screenshots, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(*screenshots, name), content, 0o644))
	}
}
