"""What an episode is: schema, catalogue, readers of foreign formats. Importing it registers the catalogue with Gymnasium."""

from scenarios.envs import register_envs

register_envs()
