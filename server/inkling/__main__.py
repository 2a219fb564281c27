from inkling.cli import main

raise SystemExit(main())
