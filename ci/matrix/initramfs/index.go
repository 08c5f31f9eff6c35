package initramfs

// IndexPath is where a guest finds the index of its modules.
const IndexPath = "/lib/modules/index.json"

// Index tells a guest's modprobe what to load for a name. Packages bring none, since depmod makes it where a kernel is installed.
type Index struct {
	// Modules are those of the archive, by name with underscores.
	Modules map[string]Module `json:"modules"`
	// Aliases are further names, with * for any text, and the modules that they stand for.
	Aliases []Alias `json:"aliases"`
}

// Module is one that can be loaded, after those that it needs.
type Module struct {
	Path  string   `json:"path"`
	Needs []string `json:"needs,omitempty"`
}

// Alias is a further name of a module.
type Alias struct {
	Pattern string `json:"pattern"`
	Module  string `json:"module"`
}
