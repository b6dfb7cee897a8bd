# The images: `docker buildx bake` builds all, `docker buildx bake slm` one; `make images` is the same.
# A release is built by `make push-images REGISTRY=… VERSION=…`, for both kinds of processors, with what
# is in it (SBOM, SPDX) and where it comes from (provenance, SLSA) attached.

variable "REGISTRY" {
  default     = ""
  description = "What stands before every image's name: registry.example.com/smallfirst/."
}
variable "VERSION" {
  default     = "unreleased"
  description = "Of the release; the images' tag and label."
}
variable "REVISION" {
  default     = "unknown"
  description = "The commit that is built."
}
variable "TORCH_INDEX" {
  default     = ""
  description = "Address of the index of PyTorch's builds for processors; the Makefile builds nothing without it."
}
variable "CACHE" {
  default     = ""
  description = "Where layers are kept from build to build: a repository of the registry."
}
# The same for every release, so that what did not change is the same layer, which nodes have already:
# BuildKit sets the times of files back to it (rewrite-timestamp). 1 January 1980, as in a wheel.
variable "SOURCE_DATE_EPOCH" {
  default = "315532800"
}

group "default" {
  targets = ["router", "flower", "desk", "slm", "llm"]
}

target "image" {
  name = image.name
  matrix = {
    image = [
      { name = "router", dockerfile = "router/Dockerfile", args = {} },
      { name = "flower", dockerfile = "router/Dockerfile", args = {} },
      { name = "desk", dockerfile = "workers/Dockerfile.desk", args = {} },
      { name = "slm", dockerfile = "workers/Dockerfile.slm", args = { TORCH_INDEX = TORCH_INDEX } },
      { name = "llm", dockerfile = "workers/Dockerfile.llm", args = {} },
    ]
  }
  context    = "."
  dockerfile = image.dockerfile
  target     = image.name
  tags       = ["${REGISTRY}smallfirst-${image.name}:${VERSION}"]
  args = merge(image.args, {
    VERSION           = VERSION
    REVISION          = REVISION
    SOURCE_DATE_EPOCH = SOURCE_DATE_EPOCH
  })
  cache-from = CACHE == "" ? [] : ["type=registry,ref=${CACHE}:${image.name}"]
  cache-to   = CACHE == "" ? [] : ["type=registry,mode=max,ref=${CACHE}:${image.name}"]
}
