#!/bin/sh
# The sample studies: five heads, drawn from seeds 4-8. `make serve` runs this once; run it again for the same bytes.
#   4  basal ganglia bleed and subarachnoid blood after craniectomy     7  subdural hematoma, nothing in the brain
#   5  small contusion, tilted gantry                                   8  basal ganglia bleed and contusions
#   6  large lobar bleed
set -eu
here=$(dirname "$0")
exec "${AMD_DAS:-amd-das}" phantom --kind ct --format nifti --seed 4 --count 5 -o "$here/cases"
